delete from tags where length(accept) > 1024;
