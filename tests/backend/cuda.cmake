# The backend suite on CUDA: on a device where there is one (label gpu, else skipped), and
# on the emulator everywhere.  `suites`: the programs that run for each backend.
foreach(name ${suites})
  add_test(NAME backend.${name}.cuda COMMAND ${name})
  set_tests_properties(backend.${name}.cuda PROPERTIES LABELS "backend;gpu" TIMEOUT 300
    SKIP_RETURN_CODE 77 RESOURCE_LOCK gpu ENVIRONMENT
    "PBT_TEST_BACKEND=cuda;PBT_CUDA_MODULE=$<$<BOOL:${PBT_WITH_CUDA}>:$<TARGET_FILE:pbt_cuda>>")
endforeach()
if(NOT PBT_WITH_CUDA OR PBT_SANITIZE OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  return()
endif()

# The module once more, as host code: the kernels as C++ over the emulator.
file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*.cu)
set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX
  COMPILE_OPTIONS "-xc++;-Wno-unknown-pragmas;-Wno-shadow")
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/backend/cuda/*.c)
list(FILTER sources EXCLUDE REGEX "/(absent|present)\\.c$")
file(GLOB emulator CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/emulator/*.cpp)
add_library(pbt_cuda_emulated MODULE ${sources} ${kernels} ${emulator})
target_compile_definitions(pbt_cuda_emulated PRIVATE PBT_EMULATE)
target_compile_options(pbt_cuda_emulated PRIVATE -O2)
target_include_directories(pbt_cuda_emulated PRIVATE ${CMAKE_SOURCE_DIR}/kernels
  ${CMAKE_CURRENT_SOURCE_DIR}/emulator)
target_include_directories(pbt_cuda_emulated SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS}
  ${PBT_CUDNN_INCLUDE})
target_link_libraries(pbt_cuda_emulated PRIVATE pbt_options)
set_target_properties(pbt_cuda_emulated PROPERTIES PREFIX "" LINKER_LANGUAGE CXX)

set(emulated "PBT_TEST_BACKEND=cuda;PBT_CUDA_MODULE=$<TARGET_FILE:pbt_cuda_emulated>")
foreach(name ${suites})
  foreach(path own library)
    add_test(NAME backend.${name}.cuda.emulated.${path} COMMAND ${name})
    set_tests_properties(backend.${name}.cuda.emulated.${path} PROPERTIES
      LABELS backend TIMEOUT 300 SKIP_RETURN_CODE 77
      ENVIRONMENT "${emulated};PBT_CUDA_CONV=own;PBT_CUDA_DENSE=${path}")
  endforeach()
  add_dependencies(${name} pbt_cuda_emulated)
endforeach()
