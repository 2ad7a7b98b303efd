"""The registry as it was: one dict for the process, gone with it."""

from services.facts.defaults import facts as default_facts
from services.facts.judging import judged
from services.facts.reports import coherence, summary


class FactsRegistry:
    _instance = None

    def __new__(cls):
        if cls._instance is None:
            cls._instance = super().__new__(cls)
            cls._instance._facts = {}
            cls._instance._results = {}
        return cls._instance

    @classmethod
    def reset(cls):
        cls._instance = None

    def register_fact(self, fact):
        if fact.id in self._facts:
            raise ValueError(f"Fact with ID '{fact.id}' already exists")
        self._facts[fact.id] = fact

    def get_fact(self, fact_id):
        return self._facts.get(fact_id)

    def get_all_facts(self):
        return list(self._facts.values())

    def get_facts_by_category(self, category):
        return [fact for fact in self._facts.values() if fact.category == category]

    def get_facts_by_tag(self, tag):
        return [fact for fact in self._facts.values() if tag in fact.tags]

    def get_verified_facts(self):
        return [fact for fact in self._facts.values() if fact.verified]

    def update_fact(self, fact_id, updated_fact):
        if fact_id not in self._facts:
            return False
        self._facts[fact_id] = updated_fact
        return True

    def delete_fact(self, fact_id):
        return self._facts.pop(fact_id, None) is not None

    def count(self):
        return len(self._facts)

    def clear(self):
        self._facts.clear()

    def get_coherence_report(self):
        categories = {}
        for fact in self._facts.values():
            categories[fact.category] = categories.get(fact.category, 0) + 1
        return coherence(len(self._facts), len(self.get_verified_facts()), categories)

    def add_default_facts(self):
        absent = [fact for fact in default_facts() if fact.id not in self._facts]
        for fact in absent:
            self._facts[fact.id] = fact
        return len(absent)

    def validate_fact(self, fact):
        self._results[fact.id] = result = judged(fact)
        return result

    def register_and_validate(self, fact):
        result, error = self.validate_fact(fact), None
        if result.confidence < 0.5:
            error = "Fact rejected due to low quality/coherence"
        else:
            try:
                self.register_fact(fact)
            except ValueError as known:
                error = str(known)
        return {"success": error is None, "fact_id": fact.id, "error": error, "validation": result.to_dict()}

    def get_result(self, fact_id):
        return self._results.get(fact_id)

    def get_validation_summary(self):
        statuses = {}
        for result in self._results.values():
            statuses[result.status] = statuses.get(result.status, 0) + 1
        confidences = [result.confidence for result in self._results.values()]
        return summary(statuses, sum(confidences) / len(confidences) if confidences else None)
