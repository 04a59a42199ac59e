"""The command line; each command is a thin layer over the functions the app calls too."""
