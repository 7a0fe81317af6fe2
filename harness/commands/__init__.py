"""The commands of `tunebench`: parsed arguments in, printed text and an exit code out."""
