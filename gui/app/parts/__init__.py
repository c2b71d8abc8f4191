"""The pages of the window with their presenters: a module with a class `Part` for each entry of `gui.app.PAGES`."""
