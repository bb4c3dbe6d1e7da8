typedef int pbt_placeholder_comm; // replaced by the folder's first source
