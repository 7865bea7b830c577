"""CloudEvents 1.0, on the paths of `/event`. Pure."""
