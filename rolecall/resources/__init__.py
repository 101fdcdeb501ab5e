"""The resources that come with Rolecall, one file each."""
