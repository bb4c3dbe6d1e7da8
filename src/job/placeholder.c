typedef int pbt_placeholder_job; // replaced by the folder's first source
