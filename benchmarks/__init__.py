"""Each goal as one command, with its peer beside it in the same run."""
