"""The stages of dvc.yaml: one thin entry each; nothing else imports them."""
