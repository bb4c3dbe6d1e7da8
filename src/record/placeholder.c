typedef int pbt_placeholder_record; // replaced by the folder's first source
