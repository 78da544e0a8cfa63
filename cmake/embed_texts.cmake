# cmake -DOUTPUT=FILE.cc -DFUNCTION=NAME -DHEADER=lathe/… -DFOLDER=DIR [-DENDING=.toml] -P embed_texts.cmake: a source
# with the texts of a folder's files, so that the program stands alone. FUNCTION, which HEADER declares, returns them
# in order of their names.
file(GLOB files ${FOLDER}/*${ENDING})
list(SORT files)
set(source "// Made by cmake/embed_texts.cmake.\n#include \"${HEADER}\"\n\nnamespace lathe {\n\n")
string(APPEND source "std::span<const EmbeddedText> ${FUNCTION}() {\n  static constexpr EmbeddedText kTexts[] = {\n")
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME)
  if(ENDING)
    string(REPLACE "${ENDING}" "" name "${name}")
  endif()
  file(READ ${file} text)
  string(APPEND source "      {\"${name}\", R\"EMBEDDED(${text})EMBEDDED\"},\n")
endforeach()
string(APPEND source "  };\n  return kTexts;\n}\n\n}  // namespace lathe\n")
file(WRITE ${OUTPUT} "${source}")
