# Writes a header with the version of the model: the program's, and a hash of all sources that
# may decide numbers (all but those of command line, results file, report and distribution). Only
# when it has changed, so that nothing is compiled in vain.
#   cmake -D ROOT=<sources> -D VERSION=<x.y.z> -D OUT=<header> -P model_version.cmake
file(GLOB sources ${ROOT}/src/*/*.[ch] ${ROOT}/search/*/*.[ch])
list(FILTER sources EXCLUDE REGEX "/(src/cli|search/store|search/dist|search/report)/")
list(SORT sources)

set(hashes)
foreach(source ${sources})
  file(SHA256 ${source} hash)
  file(RELATIVE_PATH name ${ROOT} ${source})
  string(APPEND hashes "${hash} ${name}\n")
endforeach()
string(SHA256 hash "${hashes}")
string(SUBSTRING ${hash} 0 12 hash)
set(text "#define DF_MODEL_VERSION \"${VERSION}-${hash}\"\n")

set(before)
if(EXISTS ${OUT})
  file(READ ${OUT} before)
endif()
if(NOT text STREQUAL before)
  file(WRITE ${OUT} "${text}")
endif()
