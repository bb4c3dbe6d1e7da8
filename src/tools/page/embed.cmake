# Writes the page's parts as C strings: cmake -DOUTPUT=page.c -Dcss=FILE -Djs=FILE -P
set(code "#include \"tools/page/page.h\"\n")
foreach(name css js)
  file(READ ${${name}} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
  string(APPEND code "const char pbt_page_${name}[] = {${bytes}0};\n")
endforeach()
file(WRITE ${OUTPUT} "${code}")
