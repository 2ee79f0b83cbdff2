# What the engine stands on, said at configure time rather than in a page of compile errors.

if(NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
  message(FATAL_ERROR "forkful runs on Linux only (memfd, pidfd, futex), not on ${CMAKE_SYSTEM_NAME}.")
endif()
if(NOT CMAKE_CROSSCOMPILING AND CMAKE_HOST_SYSTEM_VERSION VERSION_LESS 5.10)
  message(WARNING "forkful needs Linux 5.10 or newer to run; this kernel is ${CMAKE_HOST_SYSTEM_VERSION}.")
endif()

if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
   OR (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16))
  message(FATAL_ERROR "forkful needs gcc 12 or clang 16, or newer; "
                      "this is ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}.")
endif()
