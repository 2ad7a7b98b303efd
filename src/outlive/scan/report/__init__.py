"""A catalogue as people and programs read it; every report is a text made from the catalogue alone.

terminal     a table, drawn or plain          document     JSON with a versioned schema
guide        the migration guide, Markdown    page         one HTML file
sarif        SARIF 2.1.0 for code hosts       github    workflow commands of GitHub
"""
