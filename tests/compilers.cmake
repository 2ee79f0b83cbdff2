# The compilers that users have, for tests that compile as users do: with gcc and with clang,
# whichever of the two builds this tree. FORKFUL_COMPILERS: gcc and clang, those that were found;
# FORKFUL_COMPILER_gcc, FORKFUL_COMPILER_clang: their commands.

# The first of the commands that is of version `least` or newer.
function(forkful_find_compiler name id least)
  set(found "${FORKFUL_COMPILER_${name}}")
  if(NOT found AND CMAKE_CXX_COMPILER_ID STREQUAL "${id}")
    set(found "${CMAKE_CXX_COMPILER}")
  endif()
  foreach(command IN LISTS ARGN)
    if(found)
      break()
    endif()
    find_program(candidate ${command} NO_CACHE)
    if(candidate)
      execute_process(COMMAND "${candidate}" -dumpfullversion -dumpversion
                      OUTPUT_VARIABLE version ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
      if(version VERSION_GREATER_EQUAL "${least}")
        set(found "${candidate}")
      endif()
    endif()
    unset(candidate)
  endforeach()
  set(FORKFUL_COMPILER_${name} "${found}" CACHE FILEPATH "${name}, for tests")
  mark_as_advanced(FORKFUL_COMPILER_${name})
  if(found)
    set(FORKFUL_COMPILERS ${FORKFUL_COMPILERS} ${name} PARENT_SCOPE)
  endif()
endfunction()

set(FORKFUL_COMPILERS)
forkful_find_compiler(gcc GNU 12 g++ g++-12 g++-13 g++-14 g++-15)
forkful_find_compiler(clang Clang 16 clang++-16 clang++-17 clang++-18 clang++-19 clang++-20 clang++)

# A test that says why it is skipped.
function(forkful_add_skipped_test name label why)
  add_test(NAME ${name} COMMAND sh -c "echo '${why}'; exit 77")
  set_tests_properties(${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77)
endfunction()

function(forkful_skip_missing_compilers label)
  foreach(name IN ITEMS gcc clang)
    if(NOT name IN_LIST FORKFUL_COMPILERS)
      forkful_add_skipped_test(${label}.${name} ${label}
        "no ${name} was found (gcc 12 or clang 16, or newer): what users of it see is not tested")
    endif()
  endforeach()
endfunction()
