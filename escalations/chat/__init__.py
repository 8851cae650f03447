"""The door for buttons in a chat: Slack posts here what was pressed. Verified, taken once, decided like any other signature."""
