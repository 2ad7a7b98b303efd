"""Files a second of `outlive scan` beside semgrep, on one tree, in one run."""
