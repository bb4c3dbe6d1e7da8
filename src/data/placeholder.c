typedef int pbt_placeholder_data; // replaced by the folder's first source
