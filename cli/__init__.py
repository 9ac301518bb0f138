"""The `ui2i` command. Nothing heavy is imported before a command needs it, so that help comes at once."""
