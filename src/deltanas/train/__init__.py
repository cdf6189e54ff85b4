"""What runs inside the sandbox: the data sets, the build check, the training loop. `data` alone is free of torch."""
