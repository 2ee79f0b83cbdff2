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
