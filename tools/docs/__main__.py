"""`python -m tools.docs`: write every generated part into its page and file, and print the files that changed."""

from tools.docs.pages import ROOT, generated_files, write


def main() -> None:
    """Write the files whose content differs."""
    for path, text in generated_files().items():
        if write(path, text):
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
