"""What the command line and the app share: loaded data, shared models, indexed galleries."""
