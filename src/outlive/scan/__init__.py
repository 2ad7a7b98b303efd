"""The catalogue of what dies with a process, read from source code that is never imported or executed.

engine.scan(paths)      the single entry: source folders in, a `Catalogue` out
catalogue               what a catalogue holds; every report is made from these classes alone
"""

from outlive.scan.catalogue import CLASSES, Catalogue, Entry, FieldInfo, Finding, Place, Site, Skipped

__all__ = ["CLASSES", "Catalogue", "Entry", "FieldInfo", "Finding", "Place", "Site", "Skipped"]
