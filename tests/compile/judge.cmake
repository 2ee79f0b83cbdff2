# Compiles SNIPPET with COMPILER. If the VERDICT on it shall be "rejected", the first error must name
# what the snippet's comments CAUSE and REMEDY say: a user reads that one, and not the hundredth.
# FLAGS may have further options of the compiler.
cmake_minimum_required(VERSION 3.23)

execute_process(
  COMMAND "${CMAKE_COMMAND}" -E env LC_ALL=C
          "${COMPILER}" -std=c++20 -Wall -Wextra -fsyntax-only ${FLAGS} "-I${INCLUDE}" "${SNIPPET}"
  RESULT_VARIABLE result ERROR_VARIABLE said OUTPUT_QUIET)

if(VERDICT STREQUAL "accepted")
  if(NOT result EQUAL 0 OR NOT said STREQUAL "")
    message(FATAL_ERROR "does not compile, or not without warnings:\n${said}")
  endif()
  return()
endif()

if(result EQUAL 0)
  message(FATAL_ERROR "compiles, and should not")
endif()
string(REGEX MATCH "[^\n]* error: [^\n]*" first "${said}")
foreach(part IN ITEMS CAUSE REMEDY)
  file(STRINGS "${SNIPPET}" line REGEX "^// ${part}: ")
  string(REPLACE "// ${part}: " "" wanted "${line}")
  string(FIND "${first}" "${wanted}" at)
  if(wanted STREQUAL "" OR at EQUAL -1)
    message(FATAL_ERROR "the first error does not name the ${part} \"${wanted}\":\n${first}\n\n${said}")
  endif()
endforeach()
