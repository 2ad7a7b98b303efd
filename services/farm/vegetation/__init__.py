"""The vegetation-analysis-service: prescription maps, by the one implementation in services.farm.vra."""
