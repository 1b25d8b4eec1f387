"""What the Denoise page is made of: the models, pictures that are already noisy, and tests on clean ones."""
