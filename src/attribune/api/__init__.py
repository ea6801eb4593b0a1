"""The JSON API: every verb that people and programs have. Commands are clients of it, too."""
