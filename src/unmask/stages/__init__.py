"""The stages of dvc.yaml: one thin entry each; nothing else imports them."""

from unmask.errors import exit_where_an_extra_is_missing

exit_where_an_extra_is_missing("train")
