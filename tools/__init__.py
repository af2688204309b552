"""Commands for those who work on geoagent itself."""
