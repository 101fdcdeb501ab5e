from rolecall.inventory import load_inventory


def write(folder, files):
    """Write files, by name; a text that begins with #! becomes a program."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            path.chmod(0o755)


def load(folder, text, name="hosts"):
    write(folder, {name: text})
    return load_inventory(folder / name)
