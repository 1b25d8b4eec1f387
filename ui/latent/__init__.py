"""The parts of the page on latent space."""
