"""The web process: uvicorn with our logs. `python -m hitl_site.web`"""

import os

import uvicorn

from hitl_site import env, logs

GRACE = 10  # seconds a waiting caller gets when the process is asked to stop


def main() -> None:
    """Serve until told to stop."""
    os.environ["COUNTERSIGN_PROCESS"] = "web"
    logs.configure(env.LOG_LEVEL, env.LOG_FORMAT, "web")
    uvicorn.run(
        "hitl_site.asgi:application",
        host=env.HOST,
        port=env.PORT,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )


if __name__ == "__main__":
    main()
