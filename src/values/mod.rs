//! What an Otomi values repository may say: names, layouts, documents.
