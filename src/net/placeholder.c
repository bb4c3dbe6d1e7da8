typedef int pbt_placeholder_net; // replaced by the folder's first source
