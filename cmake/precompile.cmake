# Most of the time that a source of ours takes to compile goes into the headers of the standard
# library. With FORKFUL_PRECOMPILE several targets read them once. Other trees, clang-tidy's among
# them, do without, so that a source which lacks an include does not compile there.

set(FORKFUL_STANDARD_HEADERS
    <algorithm> <array> <atomic> <bit> <chrono> <cstddef> <cstdint> <cstring> <functional> <limits>
    <memory> <mutex> <new> <optional> <span> <string> <string_view> <type_traits> <utility>
    <vector>)

if(FORKFUL_PRECOMPILE)
  # What ccache needs to know the same headers again.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  else()
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  endif()
endif()

# forkful_precompile(TARGET HEADERS...)
function(forkful_precompile target)
  if(FORKFUL_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()

# forkful_precompiled_as(TARGET OTHER): with OTHER's, which is compiled with the same options.
function(forkful_precompiled_as target other)
  if(FORKFUL_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${other})
  endif()
endfunction()
