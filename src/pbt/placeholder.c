typedef int pbt_placeholder_pbt; // replaced by the folder's first source
