"""The profile language: schema, compiler, codecs and the catalogue that ships."""
