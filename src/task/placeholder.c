typedef int pbt_placeholder_task; // replaced by the folder's first source
