"""The farm platform: services that began with dicts in memory and keep their API while their records move."""
