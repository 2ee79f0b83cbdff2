# How every target of this project is compiled; nothing here reaches a consumer.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)  # the static engine is linked into forkful._core
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(FORKFUL_CCACHE ccache)
mark_as_advanced(FORKFUL_CCACHE)
if(FORKFUL_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${FORKFUL_CCACHE}")
endif()

if(FORKFUL_STRICT)
  add_compile_options(-Wall -Wextra -Wshadow $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> -Werror)
endif()

if(FORKFUL_SANITIZE)
  # Frame pointers for readable stacks; no recovery, so that undefined behaviour fails its test.
  add_compile_options(-fsanitize=${FORKFUL_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FORKFUL_SANITIZE})
endif()

# libFuzzer's archive, where all is instrumented for it; empty otherwise.
set(FORKFUL_LIBFUZZER "")
if(FORKFUL_FUZZ)
  execute_process(
    COMMAND "${CMAKE_CXX_COMPILER}"
            -print-file-name=libclang_rt.fuzzer_no_main-${CMAKE_SYSTEM_PROCESSOR}.a
    OUTPUT_VARIABLE archive ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND EXISTS "${archive}")
    set(FORKFUL_LIBFUZZER "${archive}")
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_link_options(-fsanitize=fuzzer-no-link)
  else()
    message(STATUS "no libFuzzer with ${CMAKE_CXX_COMPILER}: inputs are mutated blindly")
  endif()
endif()
