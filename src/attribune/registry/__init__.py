"""Products and their apps, links, partners, keys, doors, policies: a versioned view of topic ``control``."""
