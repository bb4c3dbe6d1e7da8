typedef int pbt_placeholder_backend; // replaced by the folder's first source
