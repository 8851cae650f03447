"""Agent frameworks that can wait for a person but have nobody to ask: `bridges.langchain`, `bridges.openai_agents`."""
