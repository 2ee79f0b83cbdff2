# The engine: one static library, and its twin for unit tests.

find_package(Threads REQUIRED)

file(GLOB FORKFUL_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/*/*.cpp")
list(FILTER FORKFUL_SOURCES EXCLUDE REGEX "/src/entry/")  # see entry.cmake
file(GLOB_RECURSE FORKFUL_HEADERS CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/*.hpp")

# Where a library's engine looks for it, among other places.
set_source_files_properties("${PROJECT_SOURCE_DIR}/src/process/host.cpp" PROPERTIES
  COMPILE_DEFINITIONS "FORKFUL_HOST_PATH=\"${CMAKE_INSTALL_FULL_BINDIR}/forkful-host\"")

function(forkful_engine target)
  add_library(${target} STATIC ${FORKFUL_SOURCES})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${target} PUBLIC Threads::Threads)
  # Functions travel as (module, offset), and a module is known by its build id.
  target_link_options(${target} INTERFACE -Wl,--build-id)
endfunction()

forkful_engine(forkful)
add_library(forkful::forkful ALIAS forkful)
target_sources(forkful PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include"
                              FILES ${FORKFUL_HEADERS})
# The target all_verify_interface_header_sets compiles each public header alone.
set_target_properties(forkful PROPERTIES VERIFY_INTERFACE_HEADER_SETS ${FORKFUL_STRICT})

if(FORKFUL_BUILD_TESTS)
  # The same sources with named kill points, simulated clocks and kernels compiled in.
  forkful_engine(forkful_testing)
  target_compile_definitions(forkful_testing PUBLIC FORKFUL_FAULTS=1 FORKFUL_SIMULATION=1)
  target_include_directories(forkful_testing PUBLIC "${PROJECT_SOURCE_DIR}/include"
                                                    "${PROJECT_SOURCE_DIR}/src")
endif()
