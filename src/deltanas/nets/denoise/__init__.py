"""The built-in denoisers: noisy images from 0 to 1 to clean ones, of any size that their strides divide."""
