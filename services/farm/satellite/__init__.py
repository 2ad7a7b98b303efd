"""The satellite-service: prescription maps, by the one implementation in services.farm.vra."""
