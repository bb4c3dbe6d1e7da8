# The backend suite on CUDA: on a device where there is one (label gpu, else skipped), and
# on the emulator everywhere.  `suites`: the programs that run for each backend.
foreach(name ${suites})
  add_test(NAME backend.${name}.cuda COMMAND ${name})
  set_tests_properties(backend.${name}.cuda PROPERTIES LABELS "backend;gpu" TIMEOUT 300
    SKIP_RETURN_CODE 77 RESOURCE_LOCK gpu ENVIRONMENT
    "PBT_TEST_BACKEND=cuda;PBT_CUDA_MODULE=$<$<BOOL:${PBT_WITH_CUDA}>:$<TARGET_FILE:pbt_cuda>>")
endforeach()
# Networks whole on CUDA: against the cpu, resumed, repeated, never waiting.
pbt_add_test_program(cuda_test LIBS pbt_backend_reference pbt_net pbt_backend)
target_link_libraries(cuda_test PRIVATE ${CMAKE_DL_LIBS})
list(APPEND suites cuda_test)
add_test(NAME backend.cuda_test.cuda COMMAND cuda_test)
set_tests_properties(backend.cuda_test.cuda PROPERTIES LABELS "backend;gpu" TIMEOUT 300
  SKIP_RETURN_CODE 77 RESOURCE_LOCK gpu ENVIRONMENT
  "PBT_TEST_BACKEND=cuda;PBT_CUDA_MODULE=$<$<BOOL:${PBT_WITH_CUDA}>:$<TARGET_FILE:pbt_cuda>>")

# What needs no device.
add_test(NAME backend.gpu_batch_test COMMAND /usr/bin/python3
  ${CMAKE_CURRENT_SOURCE_DIR}/gpu_batch_test.py ${CMAKE_SOURCE_DIR}/jobs/pbt-gpu.sbatch)
set_tests_properties(backend.gpu_batch_test PROPERTIES LABELS backend TIMEOUT 120)
set(cuda ${CMAKE_SOURCE_DIR}/src/backend/cuda)
pbt_add_test_program(cuda_parts_test LIBS pbt_base)
target_sources(cuda_parts_test PRIVATE ${cuda}/binding.c ${cuda}/graph.c ${cuda}/staging.c)
add_test(NAME backend.cuda_parts_test COMMAND cuda_parts_test)
set_tests_properties(backend.cuda_parts_test PROPERTIES LABELS backend TIMEOUT 60)
if(PBT_WITH_CUDA AND NOT PBT_SANITIZE) # cuDNN's own leaks are not ours to find
  pbt_add_test_program(cuda_plan_test LIBS pbt_base)
  target_sources(cuda_plan_test PRIVATE ${cuda}/plan.c)
  target_include_directories(cuda_plan_test SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS}
    ${PBT_CUDNN_INCLUDE})
  target_link_libraries(cuda_plan_test PRIVATE ${PBT_CUDNN_LIBRARY})
  add_test(NAME backend.cuda_plan_test
    COMMAND cuda_plan_test ${CMAKE_CURRENT_SOURCE_DIR}/h200.json)
  set_tests_properties(backend.cuda_plan_test PROPERTIES LABELS backend TIMEOUT 120
    SKIP_RETURN_CODE 77)
endif()
if(NOT PBT_WITH_CUDA OR PBT_SANITIZE OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  return()
endif()

# The module once more, as host code: the kernels as C++ over the emulator, cuBLASLt and
# cuDNN as plain loops that round their operands as the precision says.
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
function(add_emulated name path precision label)
  set(test backend.${name}.cuda.emulated.${path}.${precision})
  add_test(NAME ${test} COMMAND ${name})
  set_tests_properties(${test} PROPERTIES LABELS "backend;${label}" TIMEOUT 900
    SKIP_RETURN_CODE 77 ENVIRONMENT
    "${emulated};PBT_CUDA_CONV=${path};PBT_CUDA_DENSE=${path};PBT_TEST_PRECISION=${precision}")
endfunction()
foreach(name ${suites})
  add_emulated(${name} own float32 emulated)
  add_emulated(${name} library tf32 long) # another layout costs as much again
  add_dependencies(${name} pbt_cuda_emulated)
endforeach()
foreach(name layers_test cuda_test) # where precision matters
  add_emulated(${name} library bf16 emulated)
endforeach()
foreach(name layers_test training_test) # gradients by differences too
  add_emulated(${name} library float32 long)
endforeach()

add_library(pbt_aware_mpi MODULE emulator/aware_mpi.c)
add_test(NAME backend.cuda_run_test COMMAND /usr/bin/python3
  ${CMAKE_CURRENT_SOURCE_DIR}/cuda_run_test.py $<TARGET_FILE:pbt_mpi> ${MPIEXEC_EXECUTABLE}
  $<TARGET_FILE:pbt_aware_mpi>)
set_tests_properties(backend.cuda_run_test PROPERTIES LABELS backend PROCESSORS 2
  TIMEOUT 300 RESOURCE_LOCK cpu SKIP_RETURN_CODE 77 ENVIRONMENT
  "${PBT_MPI_ENVIRONMENT};PBT_CUDA_MODULE=$<TARGET_FILE:pbt_cuda_emulated>;PBT_CUDA_CONV=own")
add_test(NAME backend.cuda_stop_test COMMAND /usr/bin/python3
  ${CMAKE_CURRENT_SOURCE_DIR}/cuda_run_test.py stopped $<TARGET_FILE:pbt_mpi> ${MPIEXEC_EXECUTABLE})
set_tests_properties(backend.cuda_stop_test PROPERTIES LABELS "backend;long" TIMEOUT 600
  RESOURCE_LOCK cpu SKIP_RETURN_CODE 77 ENVIRONMENT
  "${PBT_MPI_ENVIRONMENT};PBT_CUDA_MODULE=$<TARGET_FILE:pbt_cuda_emulated>;PBT_CUDA_CONV=own")
