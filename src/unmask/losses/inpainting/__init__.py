"""Losses of the inpainting GAN."""
