"""The chapters of the page that looks inside a variational autoencoder."""
